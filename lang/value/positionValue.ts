import { AttrSet, type Value } from "./value.ts";
import { shapeOf } from "./shape.ts";
import { delay } from "./force.ts";
import { pathUse } from "./pathUse.ts";
import { sourcePos, type Pos } from "./position.ts";

const POSITION_SHAPE = shapeOf(["column", "file", "line"]);

/** `{ column, file, line }`, the numbers counted when asked for; `null` for what was not written in a file. */
export function positionValue(pos: Pos): Value {
  const place = sourcePos(pos);
  if (place === undefined || place.origin.kind !== "file") return null;
  pathUse.tell?.(place.origin.path);
  return new AttrSet(POSITION_SHAPE, [delay(() => place.column), place.origin.path, delay(() => place.line)]);
}

import { describe, expect, it } from "vitest";
import { formatPlace, textOfBytes } from "../../core/index.ts";
import {
  createEvaluator,
  printValue,
  type DebugAnswer,
  type DebugStop,
  type DebuggerOptions,
  type EvaluatorOptions,
  type Slot,
} from "../../lang/index.ts";
import { evaluate } from "./support/failures.ts";
import { TestHost } from "./support/testHost.ts";

/** What is seen at each stop; all of it is read there, since it is gone later. */
interface Seen {
  readonly failure: string | undefined;
  readonly isBreakpoint: boolean;
  readonly isInTry: boolean;
  readonly traces: readonly string[];
  readonly levels: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

interface Outcome {
  readonly value: string | undefined;
  readonly error: string | undefined;
  readonly stops: readonly Seen[];
}

const SETTINGS = { ignoresTry: false, stopsOnTrace: false, stopsOnWarning: false } as const;

/** Evaluates deeply with a debugger that gives these answers, one after the other, and then goes on. */
function debug(
  text: string,
  answers: readonly DebugAnswer[] = [],
  settings: Partial<DebuggerOptions> = {},
  options: EvaluatorOptions = {},
): Outcome {
  const host = new TestHost();
  const stops: Seen[] = [];
  const evaluator = createEvaluator(host, {
    ...options,
    debugger: {
      ...SETTINGS,
      ...settings,
      onStop: (stop) => {
        stops.push(look(stop));
        return answers[stops.length - 1] ?? "continue";
      },
    },
  });
  const show = (slot: Slot): string => {
    try {
      return textOfBytes(printValue(evaluator.forceDeep(slot)));
    } catch (error) {
      return (error as Error).message;
    }
  };
  const look = ({ failure, isBreakpoint, isInTry, traces }: DebugStop): Seen => {
    const [first] = traces;
    const levels = first?.levels() ?? [];
    return {
      failure: failure?.message,
      isBreakpoint,
      isInTry,
      traces: traces.map(({ message, place, isError }) => {
        const where = place === undefined ? "" : ` ${formatPlace(place).split("\n")[0]}`;
        return `${isError ? "! " : ""}${message}${where}`;
      }),
      levels: levels
        .filter(({ isGlobal }) => !isGlobal)
        .map(
          ({ names, withNames }) =>
            names.join(" ") + (withNames === undefined ? "" : `with ${withNames.join(" ")}`),
        ),
      variables: Object.fromEntries(
        [...(first?.variables() ?? [])].map(([name, slot]) => [name, show(slot)]),
      ),
    };
  };
  try {
    const value = evaluator.evalText(text, "/base", { kind: "string", text });
    return { value: textOfBytes(printValue(evaluator.forceDeep(value))), error: undefined, stops };
  } catch (error) {
    return { value: undefined, error: (error as Error).message, stops };
  }
}

describe("the debugger", () => {
  it("stops where something fails, and shows what is evaluated and the variables there", () => {
    const { error, stops } = debug('let x.a = 1; in with x; (y: builtins.seq x.a (throw "no"))\n x.a');
    expect(error).toBe("no");
    expect(stops).toEqual([
      {
        failure: "no",
        isBreakpoint: false,
        isInTry: false,
        traces: [
          "! no «string»:1:47",
          "while calling a function «string»:1:47",
          "while calling a function «string»:1:29",
          "while calling anonymous lambda «string»:1:26",
          "while calling a function «string»:1:25",
          "while evaluating a 'let' expression",
        ],
        levels: ["y", "with a", "x"],
        variables: { x: "{ a = 1; }", a: "1", y: "1" },
      },
    ]);
  });

  it("stops at builtins.break, whose call has the place", () => {
    const { value, stops } = debug("let a = 1; in builtins.break (a + 1)");
    expect(value).toBe("2");
    expect(stops.map(({ isBreakpoint, failure }) => [isBreakpoint, failure])).toEqual([[true, undefined]]);
    expect(stops[0]?.traces).toEqual([
      "! breakpoint reached",
      "while calling a function «string»:1:15",
      "while evaluating a 'let' expression",
    ]);
    expect(debug("break 1", ["quit"]).error).toBe("breakpoint reached");
  });

  it("has each argument in a level of its own, the innermost winning", () => {
    const { stops } = debug("(x: y: x: builtins.break { inherit x y; }) 1 2 3");
    expect(stops[0]?.levels).toEqual(["x", "y", "x"]);
    expect(stops[0]?.variables).toEqual({ x: "3", y: "2" });
    expect(debug("(x: y: x: builtins.break { inherit x y; }) 1 2 3").value).toBe("{ x = 3; y = 2; }");
  });

  it("tells of attributes once their set is there", () => {
    const { stops } = debug("let s.a.b = throw (break s.c); s.c = ''text''; in s.a.b");
    expect(stops[0]?.traces).toEqual([
      "! breakpoint reached",
      "while calling a function «string»:1:20",
      "while calling a function «string»:1:13",
      "while evaluating the attribute 'a.b' «string»:1:51",
      "while evaluating a 'let' expression",
    ]);
    expect(debug("(break { a = 1; }).a").stops[0]?.traces).toEqual([
      "! breakpoint reached",
      "while calling a function «string»:1:2",
    ]);
    expect(debug('(x: { ${x} = 1; }.${x} + break 1) "n"').stops[0]?.traces.length).toBe(4);
    expect(debug("builtins.deepSeq { a = break 1; } 2").stops[0]?.traces).toEqual([
      "! breakpoint reached",
      "while calling a function «string»:1:24",
      "while evaluating the attribute 'a' «string»:1:20",
      "while calling a function «string»:1:1",
    ]);
  });

  it("stops in tryEval too, unless told not to", () => {
    const text = '(builtins.tryEval (throw "tried")).success';
    expect(debug(text).stops.map(({ isInTry, failure }) => [isInTry, failure])).toEqual([[true, "tried"]]);
    expect(debug(text).value).toBe("false");
    expect(debug(text, [], { ignoresTry: true })).toMatchObject({ value: "false", stops: [] });
    // Who leaves is not caught.
    expect(debug(text, ["quit"]).error).toBe("tried");
  });

  it("stops once for one failure, and never for what it evaluates itself", () => {
    expect(debug('let t = throw "once"; in [ t t ]').stops.length).toBe(1);
    expect(debug('(x: { a = 1; }.${break x}) "a"').stops.length).toBe(1);
    const { stops } = debug('let bad = throw "later"; in builtins.break 1');
    expect(stops.map(({ variables }) => variables)).toEqual([{ bad: "later" }]);
  });

  it("leaves what it could not show to be evaluated later", () => {
    const { value, stops } = debug("let a = break 1; b = a + 1; in [ a b ]");
    expect(stops[0]?.variables["b"]).toContain("infinite recursion");
    expect(value).toBe("[ 1 2 ]");
  });

  it("goes step by step", () => {
    const { value, stops } = debug("let f = x: x + 1; in break (f (f 1))", ["step", "step", "continue"]);
    expect(value).toBe("3");
    expect(stops.map(({ traces }) => traces[0])).toEqual([
      "! breakpoint reached",
      "while calling a function «string»:1:29",
      "while calling 'f' «string»:1:9",
    ]);
  });

  it("stops at traces and warnings where that is wanted", () => {
    const text = 'builtins.trace "t" (builtins.warn "w" 1)';
    expect(debug(text).stops.length).toBe(0);
    expect(debug(text, [], { stopsOnWarning: true }).stops.length).toBe(1);
    expect(debug(text, [], { stopsOnTrace: true }).stops.length).toBe(2);
    expect(debug(text, ["quit"], { stopsOnTrace: true })).toMatchObject({ value: undefined, stops: [{}] });
  });

  it("changes no value, and leaves nothing behind for those who come after", () => {
    const texts = [
      "let f = a: { b, c ? b }: with { inherit a; }; [ a b c ]; in map (f 1) [ { b = 2; } { b = 3; c = 4; } ]",
      "rec { a = b; b = { c = a.d or 5; inherit (x) d; }; x.d = 6; }.b",
      'let fix = f: let x = f x; in x; in (fix (self: { a = self.b; b = "v"; })).a',
      "builtins.foldl' (l: x: l ++ [ (x * 2) ]) [ ] [ 1 2 3 ]",
      "(x: y: z: x + y * z) 1 2 3",
    ];
    for (const text of texts) expect(debug(text)).toMatchObject({ value: evaluate(text), stops: [] });
    debug("break 1");
    expect(evaluate('builtins.tryEval (throw "x")')).toBe("{ success = false; value = false; }");
  });
});

import { numberError } from "./tomlError.ts";
import type { TomlCursor } from "./tomlCursor.ts";
import type { TomlBuilder } from "./tomlTree.ts";

const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);

/** A number, a date, a time, or both of these. */
export function readNumberOrDate<T>(cursor: TomlCursor, builder: TomlBuilder<T>): T {
  const start = cursor.at;
  const date = cursor.take(/\d{4}-\d{2}-\d{2}(?:[Tt ](?=\d{2}:))?/y);
  if (date !== undefined) {
    const day = date.slice(0, 10);
    checkDate(cursor, day, start);
    if (date.length === 10) return builder.timestamp(day);
    return builder.timestamp(`${day}T${readTime(cursor)}${readOffset(cursor)}`);
  }
  if (/\d{2}:/y.test(cursor.text.slice(start, start + 3))) return builder.timestamp(readTime(cursor));
  const token = cursor.take(/[+-]?[0-9A-Za-z_.+-]+/y);
  if (token === undefined) cursor.fail("bad format: unknown value appeared");
  const based = /^0([xob])([0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)$/.exec(token);
  if (based !== null) {
    const digits = based[2]!.replaceAll("_", "");
    const isValid = based[1] === "x" || (based[1] === "o" ? /^[0-7]+$/ : /^[01]+$/).test(digits);
    if (!isValid) throw numberError(cursor.text, token, start);
    return integer(cursor, builder, BigInt(`0${based[1]}${digits}`));
  }
  if (/^[+-]?(?:0|[1-9]\d*(?:_\d+)*)$/.test(token))
    return integer(cursor, builder, BigInt(token.replace("+", "").replaceAll("_", "")));
  if (/^[+-]?(?:inf|nan)$/.test(token)) {
    const value = token.endsWith("nan") ? NaN : Infinity;
    return builder.float(token.startsWith("-") ? -value : value);
  }
  if (!/^[+-]?(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+(?:_\d+)*)?$/.test(token))
    throw numberError(cursor.text, token, start);
  const float = Number(token.replaceAll("_", ""));
  if (!Number.isFinite(float))
    cursor.fail("toml::parse_floating: failed to read floating point value from stream");
  return builder.float(float);
}

function integer<T>(cursor: TomlCursor, builder: TomlBuilder<T>, value: bigint): T {
  if (value > MAX_INT || value < MIN_INT)
    cursor.fail(
      "toml::parse_dec_integer: too large integer: current max digits = 2^63",
      cursor.at,
      "must be < 2^63",
    );
  const near = Number(value);
  return builder.integer(Number.isSafeInteger(near) ? near : value);
}

function checkDate(cursor: TomlCursor, day: string, start: number): void {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  const days = [31, (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28, 31, 30, 31, 30];
  const last = month <= 6 ? days[month - 1] : [31, 31, 30, 31, 30, 31][month - 7];
  if (last === undefined || date < 1 || date > last)
    cursor.fail(
      "toml::parse_local_date: invalid date.",
      start,
      "month must be 01-12, day must be any of 01-28,29,30,31 depending on the month/year.",
    );
}

function readTime(cursor: TomlCursor): string {
  const start = cursor.at;
  const time = cursor.take(/\d{2}:\d{2}:\d{2}(?:\.\d+)?/y);
  if (time === undefined)
    cursor.fail("bad time: must be HH:MM:SS.subsec", start, "expected digit [0-9]", TIME_HINTS);
  const [hour = 0, minute = 0, second = 0] = time.slice(0, 8).split(":").map(Number);
  if (hour > 23 || minute > 59 || second > 60)
    cursor.fail(
      "toml::parse_local_time: invalid time.",
      start,
      hour > 23 || minute > 59 ? "hour must be 00-23, minute must be 00-59." : "second must be 00-60.",
    );
  // Nine digits at most, shown in groups of three.
  const digits = time.slice(9, 18).replace(/0+$/, "");
  const shown = digits.padEnd(Math.ceil(digits.length / 3) * 3, "0");
  return time.slice(0, 8) + (shown === "" ? "" : `.${shown}`);
}

function readOffset(cursor: TomlCursor): string {
  const offset = cursor.take(/[Zz]|[+-]\d{2}:\d{2}/y) ?? "";
  return offset === "+00:00" || offset === "-00:00" ? "Z" : offset.toUpperCase();
}

const TIME_HINTS = [
  "Hint: valid  : 1979-05-27T07:32:00, 1979-05-27 07:32:00.999999",
  "Hint: invalid: 1979-05-27T7:32:00, 1979-05-27 17:32",
];

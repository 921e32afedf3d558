/** C's `%.6g`: how Nix prints a float. */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const { digits, exponent, sign } = sixDigits(value);
  const significant = digits.replace(/0+$/, "");
  if (exponent < -4 || exponent >= 6) {
    const mantissa = significant.length > 1 ? `${significant[0]}.${significant.slice(1)}` : significant;
    const power = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${power}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${significant}`;
  const whole = significant.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = significant.slice(exponent + 1);
  return sign + (fraction === "" ? whole : `${whole}.${fraction}`);
}

/** C's `%f`: how `builtins.toString` writes a float. */
export function formatFixed(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}.000000`;
  // Only a multiple of 1/128 can lie exactly between two neighbours; C then takes the even one, JavaScript the larger.
  const eighths = value * 128;
  if (Number.isInteger(eighths) && !Number.isInteger(value) && Math.abs(eighths) < 2 ** 38) {
    const twice = Math.abs(eighths) * 15625;
    if (twice % 2 === 1) {
      const lower = (twice - 1) / 2;
      const even = lower % 2 === 0 ? lower : lower + 1;
      const text = String(even).padStart(7, "0");
      return `${value < 0 ? "-" : ""}${text.slice(0, -6)}.${text.slice(-6)}`;
    }
  }
  return Object.is(value, -0) ? "-0.000000" : value.toFixed(6);
}

/** How nlohmann's JSON library writes a float: the shortest digits that read back the same, always as a float. */
export function formatJsonFloat(value: number): string {
  if (!Number.isFinite(value)) return "null";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const size = Math.abs(value);
  // Here JavaScript writes the same, but for what is whole.
  if (size >= 1e-4 && size < 1e15) return Number.isInteger(value) ? `${value}.0` : String(value);
  const [mantissa = "", power = ""] = size.toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const sign = value < 0 ? "-" : "";
  const point = Number(power) + 1;
  if (point >= digits.length && point <= 15) return `${sign}${digits.padEnd(point, "0")}.0`;
  if (point > 0 && point <= 15) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  if (point > -4 && point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  const exponent = point - 1;
  const scaled = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
  return `${sign}${scaled}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function formatSpecial(value: number): string {
  if (Number.isNaN(value)) return isNegative(value) ? "-nan" : "nan";
  return value < 0 ? "-inf" : "inf";
}

const bytes = new DataView(new ArrayBuffer(8));

/** By the sign that the processor gave it: of what is no number, too, as in C. */
function isNegative(value: number): boolean {
  bytes.setFloat64(0, value);
  return bytes.getUint8(0) >= 128;
}

/** Six significant digits, rounded half to even as C does; 40 digits show every double's tie for what it is. */
function sixDigits(value: number): { digits: string; exponent: number; sign: string } {
  const [mantissa = "", power = ""] = Math.abs(value).toExponential(40).split("e");
  const all = mantissa.replace(".", "");
  let exponent = Number(power);
  let head = Number(all.slice(0, 6));
  const rest = all.slice(6);
  const isTie = rest[0] === "5" && /^50*$/.test(rest);
  if (isTie ? head % 2 === 1 : rest[0]! >= "5") head++;
  if (head === 1_000_000) {
    head = 100_000;
    exponent++;
  }
  return { digits: String(head), exponent, sign: value < 0 ? "-" : "" };
}

export { formatFixed, formatFloat, formatJsonFloat } from "./floats.ts";
export { printJson, quoteJson } from "./json.ts";
export { printAmbiguous, printValue, type PrintOptions, type PrintedPart } from "./value.ts";
export { escapeXml, printXml, type XmlOptions } from "./xml.ts";

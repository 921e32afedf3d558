/**
 * An array to copy (`slice`) where one of a known length is filled: copies are "packed" and exactly as long, unlike
 * those of `new Array(n)` and arrays that grow, so that all environments and values are of one kind to the machine.
 * Measured on NixOS.
 */
export function template(length: number): undefined[] {
  const array: undefined[] = [];
  for (let i = 0; i < length; i++) array.push(undefined);
  return array.slice();
}

const TEMPLATES = 64;
const templates: (readonly undefined[] | undefined)[] = [];

/** A template that is only copied: one for all of a length, where it is short. */
export function sharedTemplate(length: number): readonly undefined[] {
  if (length > TEMPLATES) return template(length);
  return (templates[length] ??= template(length));
}

/** An array for slots that are all about to be set. */
export function slotsLike<S>(empty: readonly undefined[]): S[] {
  return empty.slice() as unknown as S[];
}

/** What grew by `push`, without the room for half as many again and sixteen that is left in it. */
export function fitted<S>(grown: readonly S[]): S[] {
  return grown.slice();
}

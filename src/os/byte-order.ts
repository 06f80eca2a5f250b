/**
 * How this machine writes the numbers of the kernel's structures.
 */

/** True where the least significant byte comes first. */
export const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

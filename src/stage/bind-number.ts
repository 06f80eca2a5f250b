/** The number of bind(2) by architecture (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
export const bindNumbers: ReadonlyMap<string, number> = new Map([
  ['x64', 49],
  ['arm64', 200],
  ['riscv64', 200],
  ['loong64', 200],
]);

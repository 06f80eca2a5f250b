/** The pages of both registries, loaded when somebody asks for one. A name that both have is one page. */
import type { Page } from '../causes/cause.ts';

interface Documented {
  readonly id: string;
  readonly title: string;
  readonly page: Page;
  readonly stages: readonly unknown[];
}

export async function allCauses(): Promise<readonly Documented[]> {
  const [bind, connect] = await Promise.all([import('../causes/bind/index.ts'), import('../causes/connect/index.ts')]);
  return [...bind.causes, ...connect.causes];
}

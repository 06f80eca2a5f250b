import { addressCause } from './form.ts';
import { across } from './shared/hosts.ts';
import { look } from './shared/look.ts';
import { isHostUnreachable, refusedElsewhere } from './shared/refused-elsewhere.ts';

/** The last router looked for the host on its network and did not find it. */
export default addressCause({
  id: 'host-dead-behind-router',
  title: 'The last router on the way does not find the host',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`EHOSTUNREACH`, "No route to host", after three seconds.',
    why: 'The packet got as far as the router of the network that the host should be in. The router asked three times which host has the address, and nobody answered: the host is off, or has another address.',
    now: 'Check whether the host is on and which address it has. The routes up to the router are fine.',
    prevent: 'Set short connect timeouts in clients: three seconds pass before the router knows.',
  },
  recognise(question) {
    const refused = refusedElsewhere(question);
    if (refused === null || refused.from === refused.address) return null;
    if (!refused.late || !isHostUnreachable(refused.refusal)) return null;
    const { endpoint, address, from } = refused;
    return { endpoint, address, from };
  },
  say: ({ address, from }) => `${from}, the last router on the way, does not find ${address} on its network`,
  remedies: ({ address }) => [look(`Check that the host is on and that ${address} is its address`, null)],
  stages: (['10.50.2.77', 'fd50:2::77'] as const).map((host) => ({
    title: `nobody behind the router has ${host}`,
    needs: ['network'],
    stage: (stage) => across(stage, `nobody behind the router has ${host}`, async () => {}, { host }),
    expect: { reachable: false, errno: 'EHOSTUNREACH', remedies: ['investigate'] },
  })),
});

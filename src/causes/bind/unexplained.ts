import type { Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { typed } from '../shared/remedies.ts';
import { asked, capital, inWords, list } from '../shared/words.ts';

/** The kernel and the model disagree, or nothing that was seen explains what the kernel says. */
export default cause({
  id: 'unexplained',
  title: 'The kernel refuses the bind, and rebind does not know why',
  on: ['linux', 'darwin'],
  page: {
    see: 'Your server cannot listen, and rebind says that it does not know why.',
    why: 'rebind asks the kernel by a bind of its own, and explains the answer with what it can see. Here the two disagree. A security policy may refuse the bind (SELinux, AppArmor, Landlock, seccomp, `SocketBindDeny=` of a systemd unit, a BPF program of a container platform). An IPv6 address may still be in duplicate address detection. Something may have changed between looking and asking. Or the socket in the way could not be seen: the gaps below the answer say what was hidden.',
    now: 'Ask again as root, which hides the least: `sudo rebind why 3000`. For policies look at `journalctl -k`, `ausearch -m avc` or `systemctl show UNIT -p SocketBindDeny`. If you find the reason, please report it: rebind lacks a cause.',
    prevent: 'Nothing can be prevented before the reason is known.',
  },
  recognise(question) {
    const { errno, disagrees, predicted, facts, probe } = question;
    if (errno === null && !disagrees) return null;
    return {
      endpoint: asked(question),
      errno,
      predicted: (predicted ?? []).map((outcome) => outcome ?? 'success'),
      answered: probe !== null,
      gaps: facts.gaps.length,
    };
  },
  say({ endpoint, errno, predicted, answered, gaps }) {
    const hidden = gaps === 0 ? '' : `; ${gaps === 1 ? 'something was' : `${gaps} things were`} not visible to rebind`;
    const port = inWords(endpoint);
    if (!answered)
      return `Listening on ${port} would fail with ${errno ?? 'an error'}, and rebind does not know why${hidden}`;
    const expected =
      predicted.length === 0 ? '' : `, while the visible sockets and settings lead to ${list(predicted)}`;
    return errno === null
      ? `${capital(port)} is available${expected}${hidden}`
      : `The kernel refuses ${port} with ${errno}, and nothing visible explains it${hidden}`;
  },
  remedies({ errno, gaps }, question): Remedy[] {
    const command = `rebind why ${typed(question.request)}`;
    const { advice } = question;
    const refused = errno === 'EPERM' || errno === 'EACCES';
    return [
      ...(gaps > 0 && question.facts.asker.uid !== 0
        ? [investigate('Ask again as root, which sees most', advice.asAdministrator(command))]
        : []),
      ...(refused && advice.policies !== null ? [investigate(advice.policies.sentence, advice.policies.command)] : []),
      investigate('If you find nothing, report this answer: rebind lacks a cause', `${command} --json`),
    ];
  },
  stages: [
    {
      title: 'a sandbox refuses every bind with EPERM',
      needs: ['seccomp'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('127.0.0.1', stage.freePort()),
          description: 'the port is free, and a sandbox (a seccomp filter) refuses every bind',
          ...stage.sandboxed(),
        });
      },
      expect: { bindable: false, errno: 'EPERM', remedies: ['investigate', 'investigate'] },
    },
  ],
});

function investigate(sentence: string, command: string): Remedy {
  return { remedy: 'investigate', sentence, command, automatic: false, args: { command } };
}

/**
 * test/pins/macos.txt: every answer on a Mac that is made up, to be read.
 */
import { answerOf, situations } from '../../test/os/darwin/answers.ts';

export async function macosPins(): Promise<string> {
  const parts: string[] = [];
  for (const situation of situations) {
    const { text } = await answerOf(situation);
    parts.push(`# ${situation.title}\n\n${text.trimEnd()}\n`);
  }
  return parts.join('\n\n');
}

/**
 * Words that several answers use, so that the same thing is always called the same.
 */
import { type Endpoint, endpointInWords } from '../model/endpoint.ts';
import { escapeText } from '../model/text.ts';
import type { Canvas, Style } from './io.ts';
import { wrap } from './text.ts';

/** `port 3000`, inside of a sentence. */
export function endpointObject(endpoint: Endpoint): string {
  return escapeText(endpointInWords(endpoint));
}

/** `Port 3000`, at the beginning of a sentence. */
export function endpointSubject(endpoint: Endpoint): string {
  return endpointObject(endpoint).replace(/^port /, 'Port ');
}

/** `1 worker`, `2 workers`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}

/** A sentence in lines, the beginning of which is coloured. */
export function marked(style: Style, mark: string, rest: string, canvas: Canvas): string[] {
  const [first = '', ...more] = wrap(`${mark}${rest}`, canvas.width);
  const coloured = Math.min(mark.length, first.length);
  return [canvas.paint(style, first.slice(0, coloured)) + first.slice(coloured), ...more];
}

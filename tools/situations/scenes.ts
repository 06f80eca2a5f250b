/**
 * Every situation.
 */
import { daily } from './daily.ts';
import type { Scene } from './scene.ts';
import { survey } from './survey.ts';

export const scenes: readonly Scene[] = [...survey, ...daily];

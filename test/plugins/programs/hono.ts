import { Hono } from 'hono';
import { serve } from '../../../src/plugins/hono.ts';
import { answer, options, ready, target } from './shared.ts';

const app = new Hono();
app.get('/', async (context) => context.text(await answer(context.req.query('delay'))));
ready((await serve(app, target, options('hono'))).port);

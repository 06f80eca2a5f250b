import Koa from 'koa';
import { serve } from '../../../src/plugins/koa.ts';
import { answer, options, ready, target } from './shared.ts';

const app = new Koa();
app.use(async (context) => {
  context.body = await answer(context.query['delay']);
});
ready((await serve(app, target, options('koa'))).port);

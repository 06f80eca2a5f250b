import express from 'express';
import { serve } from '../../../src/plugins/express.ts';
import { answer, options, ready, target } from './shared.ts';

const app = express();
app.get('/', (request, response) => {
  answer(request.query['delay']).then((text) => response.send(text));
});
ready((await serve(app, target, options('express'))).port);

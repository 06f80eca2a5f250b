import 'reflect-metadata';
import { Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request, Response } from 'express';
import { serve } from '../../../src/plugins/nest.ts';
import { answer, options, ready, said, target } from './shared.ts';

class AppModule implements OnModuleDestroy {
  onModuleDestroy(): void {
    said('onModuleDestroy');
  }
}
// What the decorator @Module({}) does.
Module({})(AppModule);

const app = await NestFactory.create(AppModule, { logger: false });
const served = serve(app, target, options('nest'));
// A route of the framework's own would need decorators, which this project's sources do not use.
app.getHttpAdapter().get('/', (request: Request, response: Response) => {
  answer(request.query['delay']).then((text) => response.send(text));
});
ready((await served).port);

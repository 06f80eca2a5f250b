/** The signal by which handlers of endless answers hear that their server is closing. */

const controllers = new WeakMap<object, AbortController>();

/** One for each server, until it closes; the next one is for the time after. */
export function closingSignal(server: object): AbortSignal {
  let controller = controllers.get(server);
  if (controller === undefined) {
    controller = new AbortController();
    controllers.set(server, controller);
  }
  return controller.signal;
}

/** Tells those who watch the signal. */
export function tellClosing(server: object): void {
  const controller = controllers.get(server);
  controllers.delete(server);
  controller?.abort(new DOMException('The server is closing', 'AbortError'));
}

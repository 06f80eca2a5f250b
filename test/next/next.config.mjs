export default {
  // The root of this app, and not that of the package around it.
  turbopack: { root: import.meta.dirname },
  outputFileTracingRoot: import.meta.dirname,
  // Not a line for every request of the traffic.
  logging: { incomingRequests: false },
};

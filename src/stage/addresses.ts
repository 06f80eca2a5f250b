/** The addresses of the staged network: client - router - server, a network on each side of the router. */
export const addresses = {
  client: { ipv4: '10.50.1.2', ipv6: 'fd50:1::2' },
  routerToClient: { ipv4: '10.50.1.1', ipv6: 'fd50:1::1' },
  routerToServer: { ipv4: '10.50.2.1', ipv6: 'fd50:2::1' },
  server: { ipv4: '10.50.2.2', ipv6: 'fd50:2::2' },
} as const;

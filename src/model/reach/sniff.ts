/**
 * Which protocol the first bytes of a server belong to. The bytes are the other side's: they choose nothing, they only name a protocol.
 */

/** What a server's first bytes say that it speaks; null for bytes that no rule here knows. */
export type Spoken = 'http' | 'http2' | 'tls' | 'ssh' | 'mysql' | 'redis' | 'smtp-or-ftp' | 'postgres' | 'amqp' | 'vnc';

/** @param text The bytes as latin1, at most the first few hundred. */
export function spokenBy(text: string): Spoken | null {
  const byte = (at: number): number => (at < text.length ? text.charCodeAt(at) : -1);
  // A TLS record: handshake (22) or alert (21), version 3.x (RFC 8446, section 5.1).
  if ((byte(0) === 21 || byte(0) === 22) && byte(1) === 3 && byte(2) <= 4) return 'tls';
  if (/^HTTP\/\d/.test(text)) return 'http';
  if (/^SSH-\d/.test(text)) return 'ssh';
  // The server's preface is a SETTINGS frame of stream 0 (RFC 9113, section 3.4): length u24, type 4, flags 0.
  if (text.length >= 9 && byte(3) === 4 && byte(4) === 0 && text.slice(5, 9) === '\0\0\0\0' && byte(0) === 0)
    return 'http2';
  // Initial Handshake Packet: length u24, sequence 0, protocol version 10, then a version text.
  if (text.length >= 6 && byte(3) === 0 && (byte(4) === 10 || byte(4) === 255)) return 'mysql';
  if (/^AMQP/.test(text)) return 'amqp';
  if (/^RFB \d{3}\.\d{3}\n/.test(text)) return 'vnc';
  if (/^(220|421|554)[ -]/.test(text)) return 'smtp-or-ftp';
  // An error of RESP; Redis answers a GET of HTTP with one, and closes.
  if (/^-[A-Z]+ [^\r\n]*\r\n/.test(text) || /^[+:$*][^\r\n]*\r\n/.test(text)) return 'redis';
  // ErrorResponse: 'E', length i32, then fields (PostgreSQL, Frontend/Backend Protocol).
  if (byte(0) === 69 && byte(1) === 0 && byte(2) === 0 && /[SVCM]/.test(text.charAt(5))) return 'postgres';
  return null;
}

/** Base64 as it stands in the evidence, as latin1 text. */
export function textOf(base64: string): string {
  return atob(base64);
}

/**
 * The first message of a TLS client (RFC 8446 §4.1.2, RFC 6066 §3 for the name), so that whether a server speaks TLS is known without a
 * handshake: nothing is verified and nothing is kept.
 */

/** Bytes of one record with a ClientHello for TLS 1.2 and 1.3. @param name The host, left out for an address. */
export function clientHello(name: string | null): Buffer {
  const extensions = Buffer.concat([
    ...(name === null ? [] : [extension(0, sized(2, Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name))])))]),
    // supported_versions: TLS 1.3, 1.2
    extension(43, Buffer.from([4, 3, 4, 3, 3])),
    // supported_groups: x25519, secp256r1
    extension(10, sized(2, Buffer.from([0, 29, 0, 23]))),
    // signature_algorithms: ECDSA and RSA (PSS and PKCS 1) with SHA-256, RSA PSS with SHA-384
    extension(13, sized(2, Buffer.from([4, 3, 8, 4, 4, 1, 8, 5]))),
    // ec_point_formats: uncompressed
    extension(11, Buffer.from([1, 0])),
    // key_share: any 32 bytes are a point of x25519
    extension(51, sized(2, Buffer.concat([Buffer.from([0, 29]), sized(2, random(32))]))),
  ]);
  const hello = Buffer.concat([
    Buffer.from([3, 3]),
    random(32),
    sized(1, random(32)),
    // TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, and ECDHE with AES-GCM for TLS 1.2
    sized(2, Buffer.from([0x13, 0x01, 0x13, 0x02, 0xc0, 0x2b, 0xc0, 0x2f])),
    sized(1, Buffer.from([0])),
    sized(2, extensions),
  ]);
  const handshake = Buffer.concat([Buffer.from([1]), sized(3, hello)]);
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(2, handshake)]);
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), sized(2, body)]);
}

/** Bytes behind their length in big-endian order. */
function sized(width: 1 | 2 | 3, body: Buffer): Buffer {
  const length = Buffer.alloc(width);
  length.writeUIntBE(body.length, 0, width);
  return Buffer.concat([length, body]);
}

/** No secret: it only has to differ from one probe to the next. */
function random(bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, () => Math.floor(Math.random() * 256)));
}

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** PEM texts. */
export interface Certificate {
    readonly cert: string;
    readonly key: string;
}

/** An authority of our own. Node.js reads certificates but makes none; this is as much of X.509 as tests of TLS need. */
export class Authority {
    readonly cert: string;
    private readonly _key: KeyObject;

    constructor(private readonly _name: string) {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        this._key = privateKey;
        const isAuthority = extension([0x55, 0x1d, 0x13], true, sequence(der(0x01, Buffer.from([0xff]))));
        this.cert = this._certify(_name, publicKey, isAuthority);
    }

    /** For a server or client of this name, which may be an IPv4 address. @param expired an hour ago. */
    issue(name: string, expired = false): Certificate {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const address = /^[\d.]+$/.test(name) ? Buffer.from(name.split('.').map(Number)) : undefined;
        const alternative = address === undefined ? der(0x82, Buffer.from(name)) : der(0x87, address);
        const extra = extension([0x55, 0x1d, 0x11], false, sequence(alternative));
        const cert = this._certify(name, publicKey, extra, expired ? -1 : 1);
        return { cert, key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) };
    }

    private _certify(name: string, key: KeyObject, extensions: Buffer, hours = 1): string {
        const hour = 3_600_000;
        const body = sequence(
            der(0xa0, integer(Buffer.from([2]))),
            integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
            ECDSA_WITH_SHA256,
            distinguished(this._name),
            sequence(time(Date.now() - 2 * hour), time(Date.now() + hours * hour)),
            distinguished(name),
            key.export({ type: 'spki', format: 'der' }),
            der(0xa3, sequence(extensions)),
        );
        const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, this._key)]));
        const lines = sequence(body, ECDSA_WITH_SHA256, signature)
            .toString('base64')
            .match(/.{1,64}/g);
        return ['-----BEGIN CERTIFICATE-----', ...(lines ?? []), '-----END CERTIFICATE-----', ''].join('\n');
    }
}

// DER: a tag, a length, a value.

function der(tag: number, value: Buffer): Buffer {
    const { length } = value;
    const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
    return Buffer.concat([Buffer.from([tag, ...(length < 128 ? [length] : long)]), value]);
}

function sequence(...items: Buffer[]): Buffer {
    return der(0x30, Buffer.concat(items));
}

function integer(value: Buffer): Buffer {
    return der(0x02, value);
}

function identifier(...bytes: number[]): Buffer {
    return der(0x06, Buffer.from(bytes));
}

/** Names that differ by case would be the same, so they are not used. */
function distinguished(name: string): Buffer {
    return sequence(der(0x31, sequence(identifier(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))));
}

function time(instant: number): Buffer {
    return der(0x17, Buffer.from(new Date(instant).toISOString().replace(/^\d\d|[-:T]|\.\d+/g, '')));
}

function extension(id: number[], critical: boolean, value: Buffer): Buffer {
    const flag = critical ? [der(0x01, Buffer.from([0xff]))] : [];
    return sequence(identifier(...id), ...flag, der(0x04, value));
}

const ECDSA_WITH_SHA256 = sequence(identifier(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));

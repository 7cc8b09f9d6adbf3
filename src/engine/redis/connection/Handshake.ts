import type { Redis } from 'ioredis';
import { explain, isReply, saidBy } from './replies';

/** A command of the handshake was refused. Why was told before. */
export class HandshakeRefused extends Error {
    override readonly name = 'HandshakeRefused';
}

type Command = (...args: readonly unknown[]) => Promise<unknown>;

/**
 * Takes the decisions about refused HELLO and AUTH from ioredis, which knows a few sentences of servers only: it prints them
 * to the console, takes some for good, and speaks RESP2 after two of them.
 *
 * @param refused told at once why. ioredis itself tells it only when every other command of the handshake is answered.
 */
export function ownHandshake(client: Redis, refused: (error: Error) => void): void {
    const { hello, auth } = client as unknown as Readonly<Record<'hello' | 'auth', Command | undefined>>;
    const told = (error: unknown): never => {
        if (!isReply(error)) throw error;
        refused(error);
        throw new HandshakeRefused('The handshake was refused.', { cause: error });
    };
    Object.assign(client, {
        hello: (...args: readonly unknown[]) =>
            hello?.apply(client, [...args]).catch((error: unknown) => {
                // With this word ioredis goes on with RESP2.
                if (meansResp2(error)) throw new Error('NOPROTO', { cause: error });
                return told(error);
            }),
        auth: (...args: readonly unknown[]) =>
            auth?.apply(client, [...args]).catch((error: unknown) => {
                // A password that the server does not need does no harm.
                if (saidBy(error) === 'NOPASSWORD') return 'OK';
                return told(error);
            }),
    });
}

/** Any refusal of HELLO does, but one of the credentials, and one that passes. */
function meansResp2(error: unknown): boolean {
    if (!isReply(error)) return false;
    const { code } = explain(error, {});
    return saidBy(error) === undefined || code === 'NOT_SUPPORTED' || code === 'NO_PERMISSION';
}

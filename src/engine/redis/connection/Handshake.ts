import type { Redis } from 'ioredis';
import { explain, isReply, saidBy } from './replies';

/** A command of the handshake was refused. The reason was told before. */
export class HandshakeRefused extends Error {
    override readonly name = 'HandshakeRefused';
}

type Command = (...args: readonly unknown[]) => Promise<unknown>;

/**
 * Decides what a refused HELLO or AUTH means, in place of ioredis. ioredis knows only a few sentences of servers: it prints
 * them to the console, ignores some, and speaks RESP2 after two of them.
 *
 * @param refused gets the reason at once. ioredis tells it only when every other command of the handshake is answered.
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

/** Any refusal of HELLO means RESP2, but for refused credentials, and refusals that pass. */
function meansResp2(error: unknown): boolean {
    if (!isReply(error)) return false;
    const { code } = explain(error, {});
    return saidBy(error) === undefined || code === 'NOT_SUPPORTED' || code === 'NO_PERMISSION';
}

import type { Redis } from 'ioredis';
import { LockError, asError } from '../../port/errors';
import type { Clock } from '../../time/Clock';
import { isReply, saidBy } from './replies';
import { readFacts } from './ServerFacts';
import type { ServerFacts } from './ServerFacts';

/** What a server says of itself when it is connected. */
export interface Greeting extends ServerFacts {
    /** Of the connection. With RESP3 it can be subscribed and run commands at the same time. */
    readonly protocol: 2 | 3;
}

/** How long a server that is still loading its data is left alone, ms. */
const LOADING_PAUSE = 50;

export interface GreetOptions {
    /** The client is somebody else's: its database and its protocol are its owner's choice. */
    readonly borrowed: boolean;
    /** Is told that the server has not loaded its data yet. @returns whether to go on asking. */
    readonly loading: (error: Error) => boolean;
}

/** Asks a new connection which server it leads to, after that has loaded its data. @throws LockError, or the server's refusal. */
export async function greet(client: Redis, { borrowed, loading }: GreetOptions, clock: Clock): Promise<Greeting> {
    for (;;) {
        try {
            await at('PING', client.ping());
            break;
        } catch (error) {
            if (saidBy(error) !== 'LOADING' || !loading(asError(error))) throw error;
            await new Promise<void>((resolve) => clock.timer(LOADING_PAUSE, resolve));
        }
    }
    // ioredis goes on with database 0 if the server does not have this one.
    const { db } = client.options;
    if (db && !borrowed) await at('SELECT', client.select(db));
    const [info, hello] = await Promise.all([
        at('INFO', client.info()).catch(untold),
        // Servers before 6.0, and proxies, do not know HELLO and speak RESP2.
        borrowed ? [] : at('HELLO', client.call('HELLO')).catch(untold),
    ]);
    const facts: readonly unknown[] = Array.isArray(hello) ? hello : [];
    return { ...readFacts(info), protocol: facts[facts.indexOf('proto') + 1] === 3 ? 3 : 2 };
}

/** If the server refuses to tell, it is not known. */
function untold(error: unknown): string {
    if (isReply(error)) return '';
    throw error;
}

/** Names the command at which a connection ended. Proxies end it at a command that they do not know. */
export function at<T>(command: string, answer: Promise<T>): Promise<T> {
    return answer.catch((error: unknown) => {
        if (isReply(error)) throw error;
        throw endedAt(command, error);
    });
}

/** The connection ended when this command was sent. */
export function endedAt(command: string, cause: unknown): LockError {
    // The first command of a connection.
    const first = command === 'HELLO' || command === 'AUTH' || command === 'PING';
    const hint = first ? ' Perhaps it wants TLS, or is no Redis.' : '';
    return new LockError('CONNECTION_FAILED', `The server ended the connection at ${command}.${hint}`, { cause });
}

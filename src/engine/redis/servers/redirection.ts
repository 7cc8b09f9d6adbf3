import type { LockError } from '../../port/errors';
import { saidBy, textOf } from '../connection/replies';
import type { ServerWord } from '../connection/serverWords';
import { addressOf, hostOr } from './SlotMap';

/** Where a server sends a command ("Redis cluster specification", redirection and resharding). */
export interface Redirection {
    /** `moved`: the slot is there from now on. `ask`: it is just arriving there, so this command only is sent there. */
    readonly kind: 'moved' | 'ask';
    readonly address: string;
}

/** Refusals after which a command is retried, here or elsewhere. After NONLOCAL the slot began to leave in mid-script: all of it is retried. */
const PASSING: ReadonlySet<ServerWord> = new Set(['TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'LOADING', 'NONLOCAL']);

/** Undefined: the error is no redirection. @param from the server that answered. */
export function redirectionOf(error: LockError, from: string | undefined): Redirection | undefined {
    const [, kind, host, port] = /^(MOVED|ASK) \d+ (\S*):(\d+)/.exec(textOf(error)) ?? [];
    if (kind === undefined || port === undefined) return undefined;
    const address = `${hostOr(addressOf(from ?? '').host, host)}:${port}`;
    return { kind: kind === 'ASK' ? 'ask' : 'moved', address };
}

/** Whether a command is retried that failed so, and was not done: its slot is moving, or has no master, or its server is away. */
export function isPassing(error: LockError): boolean {
    const word = saidBy(error);
    return isAway(error) || (word !== undefined && PASSING.has(word));
}

/** Whether another server may be the master by now. */
export function mayBeReplaced(error: LockError): boolean {
    const word = saidBy(error);
    return isAway(error) || word === 'CLUSTERDOWN' || word === 'MASTERDOWN';
}

/** Whether the server cannot be reached, or has left the cluster. */
function isAway({ code }: LockError): boolean {
    return code === 'CLOSED' || code === 'CONNECTION_FAILED';
}

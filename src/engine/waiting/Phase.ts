import type { GrantMessage } from '../port/validity';
import type { Outcome } from './WaitRequest';

/** An attempt is under way. */
export interface Asking {
    readonly kind: 'asking';
    /** False: it is being handed to the store, so an answer that comes now has taken no time. */
    isSent: boolean;
    /** What the store told meanwhile, to be looked at after the answer. */
    heard: GrantMessage | 'wake-up' | undefined;
}

/** asking ⇄ asleep, until it is settled. An outcome that took no time is told in the next turn of the event loop: it is ending. */
export type Phase =
    | Asking
    | { readonly kind: 'asleep' }
    | { readonly kind: 'ending'; readonly outcome: Outcome }
    | { readonly kind: 'settled' };

/** Of all waiters: they have no data. */
export const ASLEEP: Phase = { kind: 'asleep' };
export const SETTLED: Phase = { kind: 'settled' };

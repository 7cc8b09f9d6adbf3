import type { LockError } from './errors';

/** Something that happened to a lock. Durations in ms. */
export type LockEvent =
    | { readonly kind: 'waiting'; readonly key: string; readonly holder: string; readonly rank: number }
    | {
          readonly kind: 'acquired';
          readonly key: string;
          readonly holder: string;
          readonly fence: number;
          readonly waited: number;
      }
    | { readonly kind: 'busy'; readonly key: string; readonly holder: string }
    | { readonly kind: 'timeout'; readonly key: string; readonly holder: string; readonly waited: number }
    | { readonly kind: 'renewed'; readonly key: string; readonly holder: string }
    | { readonly kind: 'released'; readonly key: string; readonly holder: string; readonly held: number }
    | {
          readonly kind: 'lost';
          readonly key: string;
          readonly holder: string;
          readonly held: number;
          readonly error: LockError;
      }
    /** A step failed or its outcome is unknown; it is tried again where that makes sense. */
    | { readonly kind: 'failed'; readonly key: string; readonly holder: string; readonly error: LockError }
    | { readonly kind: 'unreachable'; readonly error: Error }
    | { readonly kind: 'reachable' }
    /** Something about the server that the people who run it should know. */
    | { readonly kind: 'warning'; readonly message: string };

/** Is told what happened; cannot change it. What it throws is dropped. */
export interface LockObserver {
    observe(event: LockEvent): void;
}

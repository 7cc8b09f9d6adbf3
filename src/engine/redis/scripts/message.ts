/** What a message on a waiter's channel says. A grant is a fact about the past, not a proof that it still holds. */
export type Message =
    | {
          readonly kind: 'grant';
          readonly key: string;
          readonly id: string;
          /** For how long the key was granted. */
          readonly ttl: number;
          readonly fence: number;
          /** How many fences behind it are reserved. */
          readonly spare: number;
      }
    /** The acquisition is the first in line now; the key is taken for so long. */
    | { readonly kind: 'first'; readonly key: string; readonly id: string; readonly taken: number };

const FORM = /^(grant|first)\n(\d+)\+?(\d*)\n(\d+)\n([^\n]*)\n([^]*)$/;

/** Reads a message that messages.lua published; anything else is undefined, also one that only asks whether we are there. */
export function parseMessage(text: string): Message | undefined {
    const [, kind, ttl, spare, fence, id, key] = FORM.exec(text) ?? [];
    if (id === undefined || key === undefined) return undefined;
    return kind === 'grant'
        ? { kind, key, id, ttl: Number(ttl), fence: Number(fence), spare: Number(spare) }
        : { kind: 'first', key, id, taken: Number(ttl) };
}

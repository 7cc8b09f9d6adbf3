import { LockError } from '../../port/errors';
import { SLOTS, slotOf } from '../slots';

/** A server of a cluster. */
export interface ServerAddress {
    readonly host: string;
    readonly port: number;
}

/** Which master has which slot, by the names of the masters: their addresses. */
export class SlotMap {
    private _masters: readonly (string | undefined)[] = [];

    /** Each once; undefined: some slot has none. */
    get masters(): (string | undefined)[] {
        return [...new Set(this._masters)];
    }

    masterOf(slot: number): string | undefined {
        return this._masters[slot];
    }

    isMaster(name: string): boolean {
        return this._masters.includes(name);
    }

    /** A hash tag whose slot the server has. */
    tagOf(name: string): string | undefined {
        if (!this.isMaster(name)) return undefined;
        for (let number = 0; ; number++) if (this._masters[slotOf(String(number))] === name) return String(number);
    }

    /** One slot is elsewhere. @returns whether that is new. */
    move(slot: number, name: string): boolean {
        if (this._masters[slot] === name) return false;
        this._masters = this._masters.with(slot, name);
        return true;
    }

    /** @param masters what readSlots gives. @returns whether a slot has another master than before. */
    replace(masters: readonly (string | undefined)[]): boolean {
        const before = this._masters;
        this._masters = masters;
        return before.some((name, slot) => name !== masters[slot]);
    }
}

/**
 * Reads the answer to CLUSTER SLOTS: ranges of slots, with the host and port of their master first.
 *
 * @param asked the host that answered.
 * @returns the name of the master of each slot.
 */
export function readSlots(answer: unknown, asked: string): (string | undefined)[] {
    const masters = Array.from<string | undefined>({ length: SLOTS });
    for (const range of list(answer)) {
        const [first, last, master] = list(range);
        const [host, port] = list(master);
        masters.fill(`${hostOr(asked, host)}:${String(port)}`, Number(first), Number(last) + 1);
    }
    // It left the cluster, or was never in it.
    if (masters.every((name) => name === undefined)) {
        throw new LockError('CONNECTION_FAILED', `The server ${asked} knows no slots of a cluster.`);
    }
    return masters;
}

/** The host that a server tells. A server that does not know its own tells none, or a question mark. */
export function hostOr(asked: string, host: unknown): string {
    return typeof host === 'string' && host !== '' && host !== '?' ? host : asked;
}

export function nameOf({ host, port }: ServerAddress): string {
    return `${host}:${port}`;
}

export function addressOf(name: string): ServerAddress {
    const at = name.lastIndexOf(':');
    return { host: name.slice(0, at), port: Number(name.slice(at + 1)) };
}

function list(value: unknown): readonly unknown[] {
    return Array.isArray(value) ? value : [];
}

import type { LockError } from '../port/errors';
import { chosenHolder } from '../port/holder';

/** Who waits for what an owner gives back. */
export interface OwnerListener {
    /** Nothing is under way any more. */
    over(key: string, owner: string): void;
    /** A try has failed. Another one follows. */
    failed(key: string, owner: string, error: LockError): void;
}

/**
 * Releases under a holder that the caller has chosen, until they are answered or the key has run out by itself. Redis does not tell the
 * leases of one owner apart: what is still to be released, or on its way, would end the next one too. So the next one waits for it.
 */
export class OwnerReleases {
    /** How many are under way, by owner and key. */
    private readonly _underWay = new Map<string, number>();
    private _listener: OwnerListener | undefined;

    listen(listener: OwnerListener): void {
        this._listener = listener;
    }

    /** Whether an acquisition has to wait: its owner gives the key back just now. */
    holdsUp({ id, key }: { readonly id: string; readonly key: string }): boolean {
        if (this._underWay.size === 0) return false;
        const owner = chosenHolder(id);
        return owner !== undefined && this._underWay.has(nameOf(key, owner));
    }

    begin(key: string, owner: string): void {
        const name = nameOf(key, owner);
        this._underWay.set(name, (this._underWay.get(name) ?? 0) + 1);
    }

    failed(key: string, owner: string, error: LockError): void {
        this._listener?.failed(key, owner, error);
    }

    end(key: string, owner: string): void {
        const name = nameOf(key, owner);
        const left = (this._underWay.get(name) ?? 0) - 1;
        if (left > 0) this._underWay.set(name, left);
        else {
            this._underWay.delete(name);
            this._listener?.over(key, owner);
        }
    }
}

/** No holder has a line break in it. */
function nameOf(key: string, owner: string): string {
    return `${owner}\r${key}`;
}

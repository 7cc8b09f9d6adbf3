import { chosenHolder } from '../../src/engine/port/holder';
import { SHARED } from '../../src/engine/port/protocol';
import type { Share } from '../../src/engine/port/LockStore';
import { LockModel, Refusal } from '../../src/testing/LockModel';
import type { Durations, Place, Sharer } from '../../src/testing/LockModel';

/** The scripts on a server that may refuse writes, out of memory or by its rights. */
export class ServerModel extends LockModel {
    /** How many more writes are accepted in this step. */
    accepts = Infinity;
    /** How many this step has made. */
    writes = 0;

    /** Its ids are shorter than real ones. */
    protected override _fenceOf(holder: string): number | undefined {
        const end = holder.indexOf(':') + 1;
        return end > 0 ? Number(holder.slice(end)) : undefined;
    }

    /** One has it alone. */
    get isTaken(): boolean {
        return this.key !== undefined && this.key.expires > this.now && this.key.value !== SHARED;
    }

    get isShared(): boolean {
        return this.key?.value === SHARED && this.key.expires > this.now;
    }

    /** Whether it matters who is among the sharers. */
    get tellsSharers(): boolean {
        return this.isShared;
    }

    /** Whether the key is there until then for one who shares it, or for one whose downgrade is under way. */
    keeps({ deadline, holder }: { readonly deadline: number; readonly holder: string }): boolean {
        const isThere = this.isShared || this.key?.value === holder;
        return deadline <= this.now || (isThere && (this.key?.expires ?? 0) >= deadline);
    }

    /** The key is shared, and nobody shares it. */
    get isAbandoned(): boolean {
        return this.isShared && this.sharers.value.members.every(({ end }) => end <= this.now);
    }

    /** Those who share the key. */
    get live(): readonly Sharer[] {
        return this.isShared ? this.sharers.value.members.filter(({ end }) => end > this.now) : [];
    }

    /** The first in line that lives, and whether there is room for it. (That it cannot be told is not known.) */
    get head(): { readonly id: string; readonly fits: boolean } | undefined {
        const [first] = this._waiting().filter(({ id }) => this._isAlive(id));
        if (first === undefined) return undefined;
        const server = this.copy();
        server.key = this.key !== undefined && this.key.expires > this.now ? this.key : undefined;
        const fits = server._hasRoom(server._state(), this._record(first.id)?.share);
        return { id: first.id, fits: fits && (server.key !== undefined || this.freeUntil <= this.now) };
    }

    /** Those who wait, live, and can be told, in order. */
    get line(): readonly Place[] {
        return this._waiting().filter(
            ({ id }) => this._isAlive(id) && this.channels.has(this._record(id)?.channel ?? ''),
        );
    }

    shareOf(id: string): Share | undefined {
        return this._record(id)?.share;
    }

    member(id: string): string {
        return this._memberOf(id);
    }

    private _isAlive(id: string): boolean {
        return (this._record(id)?.lease ?? 0) > this.now;
    }

    protected override _memberOf(text: string): string {
        const name = chosenHolder(text) ?? text;
        return name.slice(0, name.indexOf(':') + 1) || name;
    }

    protected override _write(): void {
        if (this.accepts === 0) throw new Refusal();
        this.accepts -= 1;
        this.writes += 1;
    }
}

/** What the explorer plays with: the scripts, or a mutant of them. */
export type ServerKind = new (durations: Durations) => ServerModel;

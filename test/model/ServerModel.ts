import { chosenHolder } from '../../src/engine/port/holder';
import { LockModel, Refusal } from '../../src/testing/LockModel';
import type { Durations } from '../../src/testing/LockModel';

/** The scripts on a server that may refuse writes, out of memory or by its rights. */
export class ServerModel extends LockModel {
    /** So many more writes are accepted in this step. */
    accepts = Infinity;
    /** How many this step has made. */
    writes = 0;

    /** Its ids are shorter than real ones. */
    protected override _fenceOf(holder: string): number | undefined {
        const end = holder.indexOf(':') + 1;
        return end > 0 ? Number(holder.slice(end)) : undefined;
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

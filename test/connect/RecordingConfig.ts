import { ConfigParams } from 'pip-services4-components-node';

/** Notes which parameters are read. */
export class RecordingConfig extends ConfigParams {
    readonly read = new Set<string>();

    override getAsNullableString(key: string): string {
        this.read.add(key);
        return super.getAsNullableString(key);
    }

    override getSection(section: string): ConfigParams {
        const found = new RecordingConfig(super.getSection(section));
        // What is read of a section is read of the whole.
        found.read.add = (key) => {
            this.read.add(`${section}.${key}`);
            return found.read;
        };
        return found;
    }

    /** Names below `options`, in order. */
    get options(): string[] {
        return [...this.read].flatMap((name) => /^options\.(.+)$/.exec(name)?.[1] ?? []).sort();
    }
}

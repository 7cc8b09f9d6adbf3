import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** In a file of the built library an exact text is replaced by another; in the Lua scripts, wherever it is included. */
export type Replacement = readonly [file: string, text: string, by: string];

const ROOT = join(__dirname, '..', '..');

/** A copy of the built library with something wrong in it. */
export class Mutant implements Disposable {
    private constructor(private readonly _folder: string) {}

    /** Path of the library. */
    get library(): string {
        return join(this._folder, 'index.js');
    }

    /** @throws when a text is not there, or more than once: then it has to be looked for again. */
    static of(replacements: readonly Replacement[]): Mutant {
        // Below the package, where its dependencies are found.
        const folder = mkdtempSync(join(ROOT, 'mutant-'));
        const mutant = new Mutant(folder);
        try {
            cpSync(join(ROOT, 'src'), folder, { recursive: true });
            for (const [file, text, by] of replacements) {
                const path = join(folder, file);
                const parts = readFileSync(path, 'utf8').split(text);
                const isThere = file.endsWith('/lua.js') ? parts.length > 1 : parts.length === 2;
                if (!isThere) throw new Error(`${file} has ${parts.length - 1} times: ${text}`);
                writeFileSync(path, parts.join(by));
            }
            return mutant;
        } catch (error) {
            mutant[Symbol.dispose]();
            throw error;
        }
    }

    [Symbol.dispose](): void {
        rmSync(this._folder, { recursive: true, force: true });
    }
}

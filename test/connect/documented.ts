import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..', '..');

/** The options that the documentation of a class lists below `- options:`, with the text of each. */
export function documentedOptions(file: string): Map<string, string> {
    const source = readFileSync(join(ROOT, 'src', file), 'utf8');
    const [, section = ''] = /^ \* - options:\n((?: \* {3}.*\n)+)/m.exec(source) ?? [];
    const items = section.replace(/\n \* {5,}/g, ' ').matchAll(/^ \* {3}- (.*)$/gm);
    const documented = new Map<string, string>();
    for (const [, item = ''] of items) {
        for (const part of item.split('; ')) {
            const [, names] = /^([a-z_., ]+):/.exec(part) ?? /^([a-z]+\.[a-z_]+)$/.exec(part) ?? [];
            for (const name of names?.split(', ') ?? []) documented.set(name, item);
        }
    }
    return documented;
}

/** The rows of the tables of options in docs/configuration.md: name and default. */
export function listedOptions(): Map<string, string> {
    const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
    const rows = page.matchAll(/^\| `options\.([a-z_.]+)` +\| ([^|]*)\|/gm);
    return new Map([...rows].map(([, name = '', standard = '']) => [name, standard.trim()]));
}

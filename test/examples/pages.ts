import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..', '..', '..');

/** A page that users read: its path in the repository, and its text. */
export interface Page {
    readonly path: string;
    readonly text: string;
}

/** The README and all pages of docs. */
export const PAGES: readonly Page[] = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]
    .filter((path) => path.endsWith('.md'))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

/** @throws Error when there is no such page. */
export function pageOf(path: string): string {
    const page = PAGES.find((one) => one.path === path);
    if (page === undefined) throw new Error(`There is no ${path}`);
    return page.text;
}

/** Every code block of a language, of one page or of all. */
export function blocks(language: string, pages: readonly Page[] = PAGES): string[] {
    const fence = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm');
    return pages.flatMap(({ text }) => [...text.matchAll(fence)].map(([, block = '']) => block));
}

/** The rows of every table whose head begins with this, as cells. */
export function rows(head: string): string[][] {
    return PAGES.flatMap(({ text }) => text.split('\n\n'))
        .filter((part) => part.startsWith(`| ${head} `))
        .flatMap((table) => table.trim().split('\n').slice(2))
        .map((row) =>
            row
                .split('|')
                .slice(1, -1)
                .map((cell) => cell.trim()),
        );
}

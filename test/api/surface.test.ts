import { assert } from 'chai';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SURFACE_FILE, surface, surfaceOf } from './surface';

suite('The public surface', () => {
    test('is the one that was looked at: after a change run `npm run api`, and look at the difference', () => {
        assert.strictEqual(surface(), readFileSync(SURFACE_FILE, 'utf8'));
    });

    test('has about 25 names', () => {
        const [, count] = /^==== \. \((\d+)\)/.exec(surface()) ?? [];
        assert.isAtMost(Number(count), 30);
    });

    test('tells signatures, without comments and private members, and the types that they mention', () => {
        const folder = mkdtempSync(join(tmpdir(), 'surface-'));
        try {
            const file = (name: string, text: string): string => {
                writeFileSync(join(folder, name), text);
                return join(folder, name);
            };
            const index = file(
                'index.d.ts',
                "export { B } from './b';\nexport type { Wide as A } from './b';\nexport { f } from './c';\n",
            );
            file(
                'b.d.ts',
                [
                    "import type { Inner as Seen } from './c';",
                    '/** A class. */',
                    'export declare class B {',
                    '    private readonly _hidden;',
                    '    /** Told. */',
                    '    constructor(seen: Seen);',
                    '}',
                    'export type Wide = {',
                    "    readonly kind: 'a';",
                    '}',
                    '/** Told. */',
                    ' | {',
                    "    readonly kind: 'b';",
                    '};',
                    'type Untold = string;',
                    'export {};',
                ].join('\n'),
            );
            file(
                'c.d.ts',
                'export interface Inner {\n    a: Deep;\n}\ntype Deep = number;\nexport declare function f(): void;\n',
            );
            const sections = [
                '==== . (3)',
                'A, B, f',
                'export declare class B {\n    constructor(seen: Seen);\n}',
                "export type Wide = {\n    readonly kind: 'a';\n} | {\n    readonly kind: 'b';\n};",
                'export declare function f(): void;\n',
                '==== mentioned by these, not exported (2)',
                'Deep, Inner',
                'type Deep = number;',
                'export interface Inner {\n    a: Deep;\n}\n',
            ];
            assert.strictEqual(surfaceOf({ '.': index }), sections.join('\n\n').replaceAll('\n\n\n', '\n\n'));
        } finally {
            rmSync(folder, { recursive: true });
        }
    });
});

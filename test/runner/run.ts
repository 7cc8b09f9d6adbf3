/**
 * `npm test`, `npm run test:unit`, `npm run test:file -- NAME…`: what runs, and what is told at the end.
 * Arguments that begin with a dash, and all after the first of them, go to mocha.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { allTests, compiled, testsNamed, unitTests } from './selection';

const ROOT = join(__dirname, '..', '..', '..');
const COVERAGE = join(ROOT, 'obj', 'coverage', 'tmp');

function main([mode = '', ...args]: string[]): number {
    const dash = args.findIndex((arg) => arg.startsWith('-'));
    const names = dash < 0 ? args : args.slice(0, dash);
    const options = dash < 0 ? [] : args.slice(dash);
    if (mode === 'unit') return mocha(unitTests(ROOT), options);
    if (mode === 'suite') return suite(options);
    if (mode === 'file') return runNamed(names, options);
    return runAll(options);
}

function runNamed(names: readonly string[], options: readonly string[]): number {
    const tests = allTests(ROOT);
    const found = names.map((name) => [name, testsNamed(name, tests)] as const);
    const unknown = found.find(([, files]) => files.length === 0);
    if (names.length > 0 && unknown === undefined)
        return mocha([...new Set(found.flatMap(([, files]) => files))], options);
    console.error(
        unknown === undefined
            ? 'Which test? npm run test:file -- test/lock/RedisLock.test.ts, or a part of the path.'
            : `There is no test whose path has ${unknown[0]} in it.`,
    );
    return 1;
}

/** Coverage is measured and told only where all tests pass: else the end of the output is what failed. */
function runAll(options: readonly string[]): number {
    rmSync(COVERAGE, { recursive: true, force: true });
    const status = suite(options, { NODE_V8_COVERAGE: COVERAGE });
    return status === 0 ? start('c8/bin/c8.js', ['report', '--temp-directory', COVERAGE]) : status;
}

function suite(options: readonly string[], env: NodeJS.ProcessEnv = {}): number {
    return mocha(allTests(ROOT), ['--parallel', ...options], env);
}

function mocha(files: readonly string[], options: readonly string[], env: NodeJS.ProcessEnv = {}): number {
    return start('mocha/bin/mocha.js', [...options, ...files.map(compiled)], env);
}

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): number {
    const { status } = spawnSync(process.execPath, [join(ROOT, 'node_modules', program), ...args], {
        cwd: ROOT,
        env: { ...process.env, ...env },
        stdio: 'inherit',
    });
    return status ?? 1;
}

process.exitCode = main(process.argv.slice(2));

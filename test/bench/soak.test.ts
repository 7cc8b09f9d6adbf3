import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { assert } from 'chai';
import { skipWithoutRedis } from '../fixtures/sharedServer';

suite('The soak script', function () {
    this.timeout(60_000);
    suiteSetup(skipWithoutRedis);

    test('sees no memory grow over a few thousand cycles on a quorum', async () => {
        const args = ['--expose-gc', join(__dirname, 'soak.js'), '--cycles', '6000'];
        const soak = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        const [output] = await Promise.all([text(soak.stdout), once(soak, 'exit')]);
        assert.strictEqual(soak.exitCode, 0, output);
        assert.match(output, /6000 cycles: .* MB, \d+ files\ngrown by/);
    });
});

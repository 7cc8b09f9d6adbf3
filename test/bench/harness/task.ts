import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Runs what `serve` offers in a file in a process of its own, where nothing else has been done. */
export async function runTask<Answer>(file: string, argument: object): Promise<Answer> {
    const child = fork(file, { execArgv: ['--expose-gc'] });
    const exit = once(child, 'exit');
    try {
        child.send(argument);
        const [said] = (await Promise.race([
            once(child, 'message'),
            exit.then(() => [{ error: `${file} ended without an answer` }]),
        ])) as [{ answer: Answer; error?: string }];
        if (said.error !== undefined) throw new Error(said.error);
        return said.answer;
    } finally {
        child.kill('SIGKILL');
        await exit;
    }
}

/** @param run is given what runTask was given. */
export function serve(run: (argument: never) => Promise<object>): void {
    process.on('disconnect', () => process.exit());
    process.once('message', (argument) => {
        run(argument as never).then(
            (answer) => process.send?.({ answer }),
            (error: unknown) => process.send?.({ error: String(error) }),
        );
    });
}

/** What a worker sends to the process that started it and has the resource. */
export type ResourceMessage =
    { readonly kind: 'say'; readonly text: string } | { readonly kind: 'enter' | 'leave'; readonly fence: number };

/** A resource in the parent process, reached by messages; each is answered. Without a parent it is only printed. */
export class RemoteResource {
    say(text: string): void {
        if (process.send === undefined) console.log(text);
        else if (process.connected) process.send({ kind: 'say', text } satisfies ResourceMessage);
    }

    enter(fence: number): Promise<void> {
        return this._ask({ kind: 'enter', fence });
    }

    leave(fence: number): Promise<void> {
        return this._ask({ kind: 'leave', fence });
    }

    private async _ask(message: ResourceMessage): Promise<void> {
        if (process.send === undefined) {
            console.log(message);
            return;
        }
        // When the parent is gone nobody answers.
        if (!process.connected) return;
        let done: () => void = () => undefined;
        const answered = new Promise<void>((resolve) => (done = resolve));
        process.once('message', done).once('disconnect', done);
        process.send(message);
        await answered;
        process.off('message', done).off('disconnect', done);
    }
}

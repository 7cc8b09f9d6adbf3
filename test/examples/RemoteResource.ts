/** What a worker sends to the process that started it and has the resource. */
export type ResourceMessage =
    { readonly kind: 'say'; readonly text: string } | { readonly kind: 'enter' | 'leave'; readonly fence: number };

/** A resource in the parent process, reached by messages; each is answered. Without a parent it is only printed. */
export class RemoteResource {
    say(text: string): void {
        if (process.send === undefined) console.log(text);
        else process.send({ kind: 'say', text } satisfies ResourceMessage);
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
        const answered = new Promise((resolve) => process.once('message', resolve));
        process.send(message);
        await answered;
    }
}

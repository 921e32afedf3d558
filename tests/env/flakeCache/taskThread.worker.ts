import { workerData, type MessagePort } from "node:worker_threads";
import { answerSyncTask } from "../../../env/host/answerSyncTask.ts";
import type { SyncTaskRequest } from "../../../env/host/syncTask.ts";

const { port, done } = workerData as { readonly port: MessagePort; readonly done: Int32Array };

port.on(
  "message",
  ({ request, variables }: { readonly request: SyncTaskRequest; readonly variables: NodeJS.ProcessEnv }) => {
    Object.assign(process.env, variables);
    void answerSyncTask(request, { signal: new AbortController().signal }).then((reply) => {
      port.postMessage(reply);
      Atomics.store(done, 0, 1);
      Atomics.notify(done, 0);
    });
  },
);

"""Parley: the walk of one message.

    door                functions/chat (waits for the reply) or functions/worker (took the turn from the queue)
     |  channels/       the channel's JSON becomes a `Turn`
     v
    turn.answer         THE main path: open -> understand -> decide -> act (act.py) -> save -> reply
     |  nlu/            words become an `Understanding` (ONNX Runtime)
     |  dialogue/       (bot, session, understanding) become a `Decision`: pure, no network
     |  knowledge/      passages that hold an answer
     |  caching/        which replies may be shared, and under which key
     |  generation/     the prompt, the stream, the guard
     v
    ports               every need of the outside world, on one page
     ^
    adapters/           those needs made real: DynamoDB, S3, SQS, SageMaker, Secrets Manager; memory.py for tests

`conversation/` (the values everybody speaks of) and `errors` lie beneath everything.
Imports run one way: functions -> http_api, queue_door -> adapters -> turn -> dialogue, nlu and
their siblings -> bots -> ports -> conversation -> errors.
"""

__version__ = "0.1.0"

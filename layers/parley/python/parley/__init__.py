"""Parley: the walk of one message.

    door                functions/chat (waits for the reply) or functions/worker (took the turn from the queue)
     |  channels/       the channel's JSON becomes a `Turn`
     v
    turn.answer         THE main path: open -> understand -> converse -> save -> reply
     |  nlu/            words become an `Understanding` (ONNX Runtime)
     |  dialogue/       `converse`: pure. Hears, fills slots, asks the policy what is next, does it, until it listens;
     |                  what it cannot know by itself it yields as a need
     |  act             gives it what it needs:
     |    knowledge/      passages that hold an answer
     |    caching/        which replies may be shared, and under which key
     |    generation/     the prompt, the stream, the guard
     |    actions/        custom actions: where they run, what is sent
     |    handoff         what the person is told who takes over (desk: what the person does)
     v
    ports               every need of the outside world, on one page
     ^
    adapters/           those needs made real: DynamoDB, S3, SQS, SageMaker, EventBridge, HTTP; memory.py for tests

`conversation/` (the values everybody speaks of) and `errors` lie beneath everything; `bots/` is the bot as a value, and
how it is read from Rasa's files. Imports run one way: functions -> http_api, queue_door -> adapters -> turn ->
dialogue, nlu and their siblings -> bots -> ports -> conversation -> errors.
"""

__version__ = "0.1.0"

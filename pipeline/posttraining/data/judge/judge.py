"""The judge: batches of conversations in, a decision on each out; every reply it was ever given is in the cache."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.types import GenerateFunction

from pipeline.language_model.client import ChatClient, NoUsableReply
from pipeline.language_model.config import Sampling
from pipeline.language_model.response_cache import ResponseCache
from pipeline.language_model.rollouts import collect
from pipeline.posttraining.data.judge.config import JudgeConfig
from pipeline.posttraining.data.judge.gate import find_gate
from pipeline.posttraining.data.judge.question import Question, ask
from pipeline.posttraining.data.judge.rubric import load_rubric
from pipeline.posttraining.data.judge.verdict import SCHEMA, Decision, UnreadableVerdict, decide, read_verdict
from pipeline.posttraining.data.record import Conversation, conversation_id

SEED = 0
"""Verdicts depend on the conversation alone, so that no run asks again what another run has asked."""


class Judge:
    """Asks the model about conversations. A context manager, as it holds the cache open.

    A conversation that was judged before, in this run or another, costs nothing: so whoever was interrupted judges the
    same batches again.
    """

    def __init__(
        self,
        config: JudgeConfig,
        stop_requested: Callable[[], bool] = lambda: False,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens the cache and reads rubric and calibration; no request is made yet.

        Args:
            config: settings.
            stop_requested: looked at before each request.
            done: called after each conversation.

        Raises:
            UserError: for a rubric or a calibration that cannot be used.
        """
        self._config, self._done = config, done
        self._rubric = load_rubric(config.rubric)
        self._sampling = Sampling(maximum_tokens=config.reply_tokens, temperature=config.temperature, top_p=1.0)
        self.gate = find_gate(config)
        """Whether its decisions remove conversations."""
        self._cache = ResponseCache(Path(config.endpoint.cache))
        self.client = ChatClient(config.endpoint, self._cache, SEED, stop_requested)
        """Counts requests, failures and tokens."""

    def __enter__(self) -> "Judge":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache.__exit__(kind, error, trace)

    def decide(self, conversations: Sequence[Conversation]) -> list[Decision]:
        """A decision on each conversation, in their order; equal ones are asked about once.

        Raises:
            Requeue: after a stop signal; the verdicts so far are in the cache.
            UserError: if the server cannot be asked, or fails too often.
        """
        questions = [ask(each, self._rubric) for each in conversations]
        ids = [conversation_id(each.messages, each.tools, each.documents) for each in conversations]

        async def rollout(document: Document, generate: GenerateFunction) -> int:
            number = int(document.id)
            found[questions[number].identity] = await self._decide(ids[number], questions[number], generate)
            self._done()
            return number

        found: dict[str, Decision] = {}
        distinct = {question.identity: number for number, question in reversed(list(enumerate(questions)))}
        # An empty text: the runner writes its documents, which nobody reads.
        documents = [Document(text="", id=str(number)) for number in sorted(distinct.values())]
        collect(self._config.endpoint, rollout, documents)
        for _ in range(len(questions) - len(distinct)):
            self._done()
        return [replace(found[question.identity], conversation=ids[at]) for at, question in enumerate(questions)]

    async def _decide(self, conversation: str, question: Question, generate: GenerateFunction) -> Decision:
        """Asks, and a second time if the first reply cannot be read."""
        messages = list(question.messages)
        failed = Decision(
            conversation,
            "unanswered",
            removed=self.gate.open and self._config.unparsed == "remove",
            types=question.types,
        )
        for attempt in range(2):
            try:
                reply = await self.client.ask(
                    generate, messages, self._sampling, f"judge/{question.identity}/{attempt}", **self._format()
                )
                verdict = read_verdict(reply, question.identity)
            except NoUsableReply as reason:
                return replace(failed, failure=str(reason))
            except UnreadableVerdict as error:
                failed = replace(failed, outcome="unparsed", failure=str(error))
                repair = self._rubric.repair.replace("{error}", str(error))
                messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": repair}]
            else:
                decision = decide(self._config, conversation, question.types, verdict)
                return decision if self.gate.open else replace(decision, removed=False)
        return failed

    def _format(self) -> dict[str, Any]:
        match self._config.response_format:
            case "json_schema":
                schema = {"name": "verdict", "strict": True, "schema": SCHEMA}
                return {"response_format": {"type": "json_schema", "json_schema": schema}}
            case "json_object":
                return {"response_format": {"type": "json_object"}}
            case _:
                return {}

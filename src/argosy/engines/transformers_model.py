"""A model in plain transformers, for transformers_server.py: loaded, asked for an answer or for vectors.

Runs in environments without Argosy: the standard library, torch and transformers (4.33 to 5.23), Python 3.9. One thread
works at a time: a model's memory of what it reads is not made to be shared.
"""

from __future__ import annotations

import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

_BATCH = 32  # inputs that are made vectors of at once


class RefusedError(Exception):
    """What was asked cannot be done: told to the client with 400."""

    def __init__(self, message: str, *, param: Optional[str] = None, code: Optional[str] = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class FailedError(Exception):
    """The model failed at a request, for no fault of the request's."""


class Sampling:
    """How tokens are chosen, as a request says it."""

    def __init__(self, body: Mapping[str, Any], choice: int) -> None:
        self.temperature: Optional[float] = body.get("temperature")
        self.top_p: Optional[float] = body.get("top_p")
        self.top_k: Optional[int] = body.get("top_k")
        seed: Optional[int] = body.get("seed")
        self.seed = None if seed is None else seed + choice  # else all choices would be one
        self.presence_penalty = float(body.get("presence_penalty") or 0)
        self.frequency_penalty = float(body.get("frequency_penalty") or 0)

    def arguments(self, defaults: Any) -> Dict[str, Any]:
        """For generate(). `defaults`: the model's generation config, which holds where a request says nothing."""
        if self.temperature == 0:
            return {"do_sample": False}
        said = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        given = {name: value for name, value in said.items() if value is not None}
        if not given and not getattr(defaults, "do_sample", False):
            given = {"temperature": 1.0}
        return {"do_sample": True, **given}


class Loaded:
    """A model and its tokenizer. `config` is what transformers.py writes."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        self._torch, self._transformers = torch, transformers
        path, trusted = config["path"], config["trust_remote_code"]
        torch.set_num_threads(config["threads"])
        kind = transformers.AutoModel if config["embed"] else _kind_of(transformers, path, trusted=trusted)
        arguments = {"trust_remote_code": trusted, **config["extra_args"]}
        modern = int(transformers.__version__.split(".")[0]) >= 5
        dtype = config["dtype"] if config["dtype"] == "auto" else getattr(torch, config["dtype"])
        arguments["dtype" if modern else "torch_dtype"] = dtype
        if config["device_map"]:
            arguments["device_map"] = config["device_map"]
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=trusted)
        self.model = kind.from_pretrained(path, **arguments).eval()
        self._template = config["chat_template"] or getattr(self.tokenizer, "chat_template", None)
        self.context = min(config["context"] or 1 << 30, _length(self.model.config) or 1 << 30)
        self._pooling = config["pooling"] or _pooling(Path(path))
        self._normalize = config["normalize"]
        if self._normalize is None:
            self._normalize = _normalizes(Path(path))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    def chat_tokens(self, messages: Sequence[Mapping[str, Any]]) -> List[int]:
        """The prompt that messages become. Raises RefusedError."""
        texts = [{**message, "content": _text(message.get("content"))} for message in messages]
        if self._template is None and hasattr(self.tokenizer, "build_prompt"):  # ChatGLM2 has a way of its own
            return self.tokens(_glm_prompt(self.tokenizer, texts))
        if self._template is None:
            raise RefusedError(
                "This model has no chat template: ask /v1/completions, or set chat_template in the fleet file.",
                code="no_chat_template",
            )
        try:
            prompt = _rendered(self._template, texts, self.tokenizer.special_tokens_map)
        except Exception as error:  # noqa: BLE001 - a template raises what it likes for messages that it does not take
            raise RefusedError(f"The model's chat template refuses these messages: {error}", param="messages") from None
        return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def tokens(self, text: str) -> List[int]:
        return list(self.tokenizer(text)["input_ids"])

    def text(self, tokens: Sequence[int]) -> str:
        decoded: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return decoded

    def answer(
        self, prompt: List[int], sampling: Sampling, most: int, cancelled: threading.Event
    ) -> "queue.Queue[Any]":
        """A queue of tokens, then None, or the FailedError that ended it. Work on it ends soon after `cancelled`."""
        told: "queue.Queue[Any]" = queue.Queue()

        def work() -> None:
            try:
                if not cancelled.is_set():
                    self._generate(prompt, sampling, most, cancelled, told.put)
                told.put(None)
            except Exception as error:  # noqa: BLE001 - whatever it is, who waits must hear of it
                told.put(FailedError(f"The model failed: {type(error).__name__}: {error}"))

        self._thread.submit(work)
        return told

    def vectors(self, inputs: Sequence[Sequence[int]]) -> List[List[float]]:
        """One for each of the inputs, which are tokens."""

        def work() -> List[List[float]]:
            found: List[List[float]] = []
            for at in range(0, len(inputs), _BATCH):
                found += self._embed(inputs[at : at + _BATCH])
            return found

        return self._thread.submit(work).result()

    def _generate(
        self, prompt: List[int], sampling: Sampling, most: int, cancelled: threading.Event, tell: Callable[[int], None]
    ) -> None:
        torch, transformers = self._torch, self._transformers
        if sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        ids = torch.tensor([prompt], device=self.model.device)
        processors = []
        if sampling.presence_penalty or sampling.frequency_penalty:
            # An encoder reads the prompt; then what is said begins behind one token that starts it.
            said_from = 1 if self.model.config.is_encoder_decoder else len(prompt)
            processors.append(_penalties(transformers, sampling, said_from))
        with torch.inference_mode():
            self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                pad_token_id=self._pad_token(),
                streamer=_streamer(tell),
                stopping_criteria=transformers.StoppingCriteriaList([_until(transformers, cancelled)]),
                logits_processor=transformers.LogitsProcessorList(processors),
                **sampling.arguments(getattr(self.model, "generation_config", None)),
            )

    def _embed(self, inputs: Sequence[Sequence[int]]) -> List[List[float]]:
        torch = self._torch
        longest = max(len(each) for each in inputs)
        pad = self._pad_token() or 0
        ids = torch.tensor([[*each, *[pad] * (longest - len(each))] for each in inputs], device=self.model.device)
        mask = torch.tensor(
            [[1] * len(each) + [0] * (longest - len(each)) for each in inputs], device=self.model.device
        )
        with torch.inference_mode():
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            if self._pooling == "cls":
                pooled = hidden[:, 0]
            elif self._pooling == "last":
                pooled = hidden[torch.arange(len(inputs), device=hidden.device), mask.sum(1) - 1]
            else:
                weights = mask.unsqueeze(-1).float()
                pooled = (hidden * weights).sum(1) / weights.sum(1)
            if self._normalize:
                pooled = torch.nn.functional.normalize(pooled, dim=1)
        vectors: List[List[float]] = pooled.cpu().tolist()
        return vectors

    def _pad_token(self) -> Optional[int]:
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return None


def _kind_of(transformers: Any, path: str, *, trusted: bool) -> Any:
    """The class that generates. Code of the model's own may name only AutoModel, as ChatGLM2's."""
    config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=trusted)
    own = getattr(config, "auto_map", None) or {}
    if trusted and "AutoModelForCausalLM" not in own:
        for name in ("AutoModelForSeq2SeqLM", "AutoModel"):
            if name in own:
                return getattr(transformers, name)
    return transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM


def _length(config: Any) -> Optional[int]:
    """Tokens that the model was made for, by the names that its kinds have for it."""
    for each in (getattr(config, "text_config", None), config):
        for name in ("max_position_embeddings", "n_positions", "seq_length", "max_sequence_length"):
            if isinstance(found := getattr(each, name, None), int) and found > 0:
                return found
    return None


def _pooling(folder: Path) -> str:
    """As sentence-transformers writes it beside the weights."""
    for file in folder.glob("*Pooling/config.json"):
        said = json.loads(file.read_text(encoding="utf-8"))
        for key, kind in (("pooling_mode_cls_token", "cls"), ("pooling_mode_lasttoken", "last")):
            if said.get(key):
                return kind
    return "mean"


def _normalizes(folder: Path) -> bool:
    modules = folder / "modules.json"
    return modules.is_file() and "Normalize" in modules.read_text(encoding="utf-8")


def _text(content: Any) -> str:
    """Of parts, their texts. Raises RefusedError for a part that is none."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text":
            raise RefusedError("This model reads text only: a message has another part.", param="messages")
    return "".join(part.get("text", "") for part in content)


def _rendered(template: str, messages: List[Dict[str, Any]], tokens: Mapping[str, Any]) -> str:
    """As transformers renders it since 4.34; before, it knew no templates. In a sandbox: a template is a stranger's."""
    from jinja2 import exceptions  # noqa: PLC0415 - torch brings it
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    def refuse(message: str) -> None:
        raise exceptions.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False, **how)
    environment.globals["raise_exception"] = refuse
    words = {name: str(token) for name, token in tokens.items() if isinstance(token, (str, bytes))}
    rendered: str = environment.from_string(template).render(messages=messages, add_generation_prompt=True, **words)
    return rendered


def _glm_prompt(tokenizer: Any, messages: List[Dict[str, Any]]) -> str:
    """Question and answer in turn; what is neither goes in front of the next question."""
    history: List[Any] = []
    asked = ""
    for message in messages:
        if message["role"] == "assistant":
            history.append((asked, message["content"]))
            asked = ""
        else:
            asked = f"{asked}\n{message['content']}" if asked else message["content"]
    prompt: str = tokenizer.build_prompt(asked, history=history)
    return prompt


def _streamer(tell: Callable[[int], None]) -> Any:
    """transformers hands it first what the answer goes on from, then token by token."""

    class Streamer:
        def __init__(self) -> None:
            self._begun = False

        def put(self, value: Any) -> None:
            for token in value.reshape(-1).tolist() if self._begun else ():
                tell(token)
            self._begun = True

        def end(self) -> None:
            pass

    return Streamer()


def _until(transformers: Any, cancelled: threading.Event) -> Any:
    class Until(transformers.StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> bool:
            return cancelled.is_set()

    return Until()


def _penalties(transformers: Any, sampling: Sampling, said_from: int) -> Any:
    """OpenAI's: for a token that was said, and for how often."""

    class Penalties(transformers.LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            counts = scores.new_zeros(scores.shape[-1])
            said = input_ids[0, said_from:]
            counts.scatter_add_(0, said, scores.new_ones(said.shape[0]))
            return scores - counts * sampling.frequency_penalty - (counts > 0) * sampling.presence_penalty

    return Penalties()

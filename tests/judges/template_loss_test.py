# SPDX-License-Identifier: Apache-2.0
"""Which tokens of a conversation carry loss: where published models' chat templates have `generation` blocks, those that
TRL's assistant_only_loss has; where TRL has such a text beside the model's own, none that it lacks; for the twenty most used,
what was read off them by hand."""
import re

from support import JUDGES, Checks, stage
from templates import DATE, MOST_USED, SIX, judged, rendered, says, templates, variables
from transformers.utils.chat_template_utils import _compile_jinja_template, _render_with_assistant_indices

# Models whose turns TRL marks from the end of the generation prompt to the token that ends them. Of others it also marks what
# the prompt has written already (an opened thought, a line break) or what stands behind that token, and turns that the template
# writes otherwise once another follows.
MARKED_ALIKE = {"cohere", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "idefics3", "lfm2", "lfm2_v2", "llama3",
                "llava_next", "qwen2_5_vl", "qwen3", "qwen3_instruct_2507", "qwen3_vl", "smolvlm"}
# Behind a tool's result its generation prompt is empty, so that the turn's beginning is the model's to write; and a call ends
# with the mark that opens the result, at which generation stops.
ASKED_OTHERWISE = {"diffusion_gemma"}


def marked_by_trl(text, conversation):
    """The text and for each character whether TRL's assistant_only_loss has loss on it; None if the template refuses."""
    try:
        template = _compile_jinja_template(text)
        for names in (template.globals, template.environment.globals):
            names["strftime_now"] = DATE.strftime
            if re.search(r"strftime_now is (not )?defined", text):  # Retort has it write a date of its own
                del names["strftime_now"]
        given = variables(conversation)
        whole, spans = _render_with_assistant_indices(
            template, given.pop("messages"), given.pop("tools"), given.pop("documents"), given.pop("add_generation_prompt"), **given)
    except Exception:
        return None
    return whole, "".join("1" if any(a <= i < b for a, b in spans) else "0" for i in range(len(whole)))


def marked_by_retort(path, conversations):
    """For each conversation the same, or None where Retort refuses it as a row of training."""
    answers = judged([{"template": str(path), "pieces": True, "variables": variables(c)} for c in conversations])
    return [None if "error" in own else
            "0" * (3 if own["bos"] else 0) + "".join(("1" if loss else "0") * len(part) for part, loss in own["pieces"])
            for own in answers]


WITHOUT_PROMPT = [{**c, "add_generation_prompt": False} for c in SIX]


def check_marks(checks, name, path, text):
    """What carries loss is what `generation` blocks mark, as TRL's assistant_only_loss has it."""
    compared, wrong = 0, []
    for conversation, mask in zip(WITHOUT_PROMPT, marked_by_retort(path, WITHOUT_PROMPT)):
        theirs = marked_by_trl(text, conversation)
        if theirs is None or mask is None:
            continue  # such as a key that the template does not look at, which Retort refuses
        compared += 1
        if mask != theirs[1]:
            wrong.append(conversation)
    checks.that(f"{name}: loss as marked, {compared} conversations, first other: {wrong[:1]}", compared and not wrong)


def check_pair(checks, name, path, marked):
    """TRL has a second text of many models' templates, with `generation` blocks. What carries loss in the first, where Retort
    finds it by rendering, is marked in the second, if both write the same. White space behind the token that ends a turn is
    left out of the comparison: nothing is generated there."""
    compared, wrong, fewer = 0, [], 0
    plain = path.read_text()
    for conversation, mask in zip(WITHOUT_PROMPT, marked_by_retort(path, WITHOUT_PROMPT)):
        theirs = marked_by_trl(marked, conversation)
        if theirs is None or mask is None or rendered(plain, conversation) != theirs[0]:
            continue
        whole, wanted = theirs
        wanted = re.sub(r"1+", lambda run: "1" * len(whole[run.start():run.end()].rstrip()) +
                        "0" * (len(run.group()) - len(whole[run.start():run.end()].rstrip())), wanted)
        compared += 1
        runs = lambda text: [(m.start(), m.end()) for m in re.finditer("1+", text)]
        inside = all(b == "1" for a, b in zip(mask, wanted) if a == "1")
        if not inside or (name in MARKED_ALIKE and runs(mask) != runs(wanted)):
            wrong.append((conversation, runs(mask), runs(wanted)))
        fewer += runs(mask) != runs(wanted)
    checks.that(f"{name}: loss {'where' if name in MARKED_ALIKE else 'only where'} TRL's own text marks it, {compared} conversations, "
                f"{fewer} with less, first other: {wrong[:1]}", not wrong and compared)


# What carries loss of a conversation of two answers, read off the templates by hand. Some trim what is said, gpt-oss ends
# earlier answers with another token than the last, and what ends with an opened thought takes no answer without one.
ANSWERS = [" I am\nBob. ", "Yes."]
TRIMMED = [answer.strip() for answer in ANSWERS]
BY_HAND = {
    "Qwen-Qwen2.5-7B": [a + "<|im_end|>" for a in ANSWERS], "Qwen3-Coder": [a + "<|im_end|>" for a in ANSWERS],
    "Qwen-Qwen3-0.6B": [" I am\nBob. <|im_end|>", "<think>\n\n</think>\n\nYes.<|im_end|>"],
    "meta-llama-Llama-3.1": [a + "<|eot_id|>" for a in TRIMMED], "meta-llama-Llama-3.2": [a + "<|eot_id|>" for a in TRIMMED],
    "meta-llama-Llama-3.3": [a + "<|eot_id|>" for a in TRIMMED],
    "mistralai-Mistral-Nemo": [a + "</s>" for a in ANSWERS], "mistralai-Ministral": [a + "</s>" for a in ANSWERS],
    "Mistral-Small": [a + "</s>" for a in ANSWERS],
    "google-gemma-2": [a + "<end_of_turn>" for a in TRIMMED], "trl-gemma3": [a + "<end_of_turn>" for a in TRIMMED],
    "microsoft-Phi-3.5": [a + "<|end|>" for a in ANSWERS], "test-phi-4": [a + "<|im_end|>" for a in ANSWERS],
    "deepseek-ai-DeepSeek-V3.1": [a + "<｜end▁of▁sentence｜>" for a in ANSWERS],
    "HuggingFaceTB-SmolLM3": [a + "<|im_end|>" for a in ANSWERS],
    "ibm-granite-granite-3.3": [a + "<|end_of_text|>" for a in ANSWERS],
    "openai-gpt-oss": ["<|channel|>final<|message|>Yes.<|return|>"],
}


def check_by_hand(checks, name, path):
    wanted = next((loss for known, loss in BY_HAND.items() if name.startswith(known)), None)
    turns = [says("user", "Who?"), says("assistant", ANSWERS[0]), says("user", "Sure?"), says("assistant", ANSWERS[1])]
    (own,) = judged([{"template": str(path), "pieces": True, "variables": variables({"messages": turns})}])
    if wanted is None:
        checks.that(f"{name}: refuses answers without thoughts", "otherwise than it asks for it" in own.get("error", ""), own)
    else:
        checks.that(f"{name}: loss as expected by hand", [p for p, loss in own.get("pieces", []) if loss] == wanted, own)


def main():
    place, checks = stage(), Checks()
    for number, (name, text) in enumerate(templates()):
        path = place / f"{number}.jinja"
        path.write_text(text)
        if re.search(r"\{%-?\s*generation", text):
            check_marks(checks, name, path, text)
        elif any(name.startswith(most) for most in MOST_USED):
            check_by_hand(checks, name, path)
    folder = next(JUDGES.glob("python/lib/python3*/site-packages/trl/chat_templates"), None)
    for path in sorted(folder.glob("*_training.jinja")) if folder else []:
        first = path.with_name(path.name.replace("_training", ""))
        if first.exists() and first.stem not in ASKED_OTHERWISE:
            check_pair(checks, first.stem, first, path.read_text())
    checks.finish()


main()

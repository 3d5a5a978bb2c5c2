// Where a person writes: Enter sends, Shift+Enter begins a line; pictures by button, paste or drop where the model sees.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { Button } from "./button";
import { picture } from "./files";
import { w } from "../words";

interface Props {
  readonly busy: boolean;
  readonly disabled?: boolean;
  readonly sees?: boolean;
  readonly onSend: (text: string, images: readonly string[]) => void;
  readonly onStop: () => void;
}

const MOST_IMAGES = 4;

export function Composer({ busy, disabled = false, sees = false, onSend, onStop }: Props): JSX.Element {
  const [text, setText] = useState("");
  const [images, setImages] = useState<readonly string[]>([]);
  const chooser = useRef<HTMLInputElement>(null);
  const t = w.value;
  const empty = !text.trim() && images.length === 0;

  const send = () => {
    if (empty || busy || disabled) return;
    onSend(text.trim(), sees ? images : []);
    setText("");
    setImages([]);
  };
  const take = async (files: Iterable<File>) => {
    const found = (await Promise.all([...files].map(picture))).filter((url) => url !== null);
    setImages((before) => [...before, ...found].slice(0, MOST_IMAGES));
  };
  const dropped = (files: FileList | undefined, event: Event) => {
    if (!sees || !files?.length) return;
    event.preventDefault();
    void take(files);
  };

  return (
    <div class="compose">
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
        onDragOver={(event) => sees && event.preventDefault()}
        onDrop={(event) => dropped(event.dataTransfer?.files, event)}
      >
        {images.length > 0 && (
          <div class="row images">
            {images.map((url, place) => (
              <span class="attached" key={place}>
                <img class="thumb" src={url} alt={t.imageNumber(place + 1)} />
                <Button label={t.removeImage(place + 1)} icon="close" kind="quiet" onClick={() => setImages(images.filter((_, other) => other !== place))} />
              </span>
            ))}
          </div>
        )}
        <div class="write">
          {sees && (
            <>
              <Button label={t.addImage} icon="image" kind="quiet" round onClick={() => chooser.current?.click()} />
              <input
                ref={chooser}
                type="file"
                accept="image/png,image/jpeg,image/gif,image/webp"
                multiple
                hidden
                aria-label={t.addImage}
                onChange={(event) => {
                  void take(event.currentTarget.files ?? []);
                  event.currentTarget.value = "";
                }}
              />
            </>
          )}
          <textarea
            aria-label={t.message}
            placeholder={t.placeholder}
            rows={Math.min(10, text.split("\n").length)}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onPaste={(event) => dropped(event.clipboardData?.files, event)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // a Chinese word is still being chosen
              event.preventDefault();
              send();
            }}
          />
          {busy ? (
            <Button label={t.stop} icon="stop" kind="main" round onClick={onStop} />
          ) : (
            <Button label={t.send} icon="send" kind="main" round disabled={empty || disabled} onClick={send} />
          )}
        </div>
      </form>
      <p class="hint">{t.enterSends}</p>
    </div>
  );
}

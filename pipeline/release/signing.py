"""A signature of a folder by OpenSSF's model signing, made with a key and without any service."""

from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.extras import require

SIGNATURE = "model.sig"


def signer(key: Path, option: str = "--sign") -> Any:
    """What signs with a private key; to be made before work that would be lost by an unusable one.

    Args:
        key: PEM file of an elliptic-curve key without a password.
        option: what the user gave it by, for the message.

    Raises:
        UserError: if model-signing is missing, or the key cannot be used.
    """
    require("sign", "model_signing", "OpenSSL")
    from model_signing import signing  # pyright: ignore[reportMissingImports]

    try:
        return signing.Config().use_elliptic_key_signer(private_key=key)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{option}={key}: not a usable private key ({' '.join(str(error).split())}); "
            f"`openssl ecparam -name prime256v1 -genkey -noout -out {key.name}` makes one"
        ) from None


def sign(config: Any, folder: Path, place: Path | None = None) -> None:
    """Writes `model.sig`, which covers every other file of a folder that is complete.

    Args:
        config: what `signer` gave.
        folder: what to sign.
        place: folder to write the signature into; None is the one that is signed.
    """
    config.sign(folder, (place or folder) / SIGNATURE)

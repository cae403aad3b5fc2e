from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from transformers import AutoModelForCausalLM, AutoTokenizer


def build_trainer(cfg, logger):
    model = AutoModelForCausalLM.from_pretrained("EleutherAI/pythia-410m", trust_remote_code=cfg.trust)
    tokenizer = AutoTokenizer.from_pretrained("EleutherAI/pythia-410m")
    checkpoint = ModelCheckpoint(monitor="val_loss", mode="min", save_top_k=3, dirpath=cfg.output_dir)
    stopping = EarlyStopping(monitor="val_loss", mode="min", patience=cfg.patience)
    trainer = Trainer(
        max_epochs=cfg.epochs,
        max_steps=cfg.max_steps,
        limit_val_batches=200,
        devices=cfg.devices,
        num_nodes=4,
        gradient_clip_val=1.0,
        callbacks=[checkpoint, stopping],
        logger=logger,
    )
    return trainer, model, tokenizer

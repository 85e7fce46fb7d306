"""Audio encoders: teachers and students behind one interface (:class:`acula_edge.encoders.base.AudioEncoder`)."""

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, load_encoder, make_encoder, teachers
from acula_edge.encoders.students import make_student, students

__all__ = ["AudioEncoder", "AudioEncoderConfig", "load_encoder", "make_encoder", "make_student", "students", "teachers"]
